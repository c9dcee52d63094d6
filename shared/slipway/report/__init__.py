"""HTML reports, their charts, and boxes drawn on images."""
