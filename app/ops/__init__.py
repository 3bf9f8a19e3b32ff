"""What the machine around the service needs: logs, a word to systemd, restarts of side jobs."""
