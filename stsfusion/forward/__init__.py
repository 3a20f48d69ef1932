"""Where instruments meet operators: optics, seasons, simulation."""
