"""The report: tables, figures and one accessible HTML file, made from findings and never from microdata."""
