"""What each page shows and does: functions of what was asked for, over the service layer."""
