"""Events of runs in the form of OpenLineage, for catalogues such as Marquez; written to a file or sent to a URL."""
