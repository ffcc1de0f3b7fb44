"""What is called on the platform: functions and objects, their definitions and signatures."""
