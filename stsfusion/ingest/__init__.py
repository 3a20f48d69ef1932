"""From delivered files to cubes: open what strangers sent, say what it is, calibrate, lay on the grid."""
