"""The attempts of one call: whether another is made, at which server, after what pause, until when."""
