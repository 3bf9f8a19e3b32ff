"""Pure risk rules: limits, account rules, trading state and its reasons, the gate."""
