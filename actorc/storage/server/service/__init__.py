"""The methods of the service, and what holds for every call whichever face it comes by."""
