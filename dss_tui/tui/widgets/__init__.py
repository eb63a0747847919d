"""The parts of screens: functions that draw text, and widgets that show it."""
