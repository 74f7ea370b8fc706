"""What the owner may ask of the host of saved UDFs, a module for each family."""
