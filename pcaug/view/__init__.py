"""Looking at clouds: a PNG without any GL, one HTML page, an Open3D window, and the look of all reports."""
