"""From the command to the first alert of the demo, against importing what it is built on."""
