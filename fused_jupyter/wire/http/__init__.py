"""What an HTTP request means and how its answer is told, whoever carries it: a Jupyter server, or a kernel's comm."""
