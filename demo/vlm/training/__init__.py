"""The script that trains the test VLM."""
