"""Videos as files and their frames as pictures: containers, timestamps, orientation, colours."""
