"""What `import fused` offers: the UDF that users hold, and the functions around it. Each is loaded when it is used."""
