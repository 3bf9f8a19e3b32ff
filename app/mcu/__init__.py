"""The board: its link, its lights, and the software stand-in for a desk without one."""
