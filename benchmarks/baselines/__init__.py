"""What the product is measured beside on this machine, without another product."""
