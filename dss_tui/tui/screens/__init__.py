"""The screens: state comes down to them from follow and session, wishes go up as actions."""
