"""The page `lucas-storage ui`: a client like any other, which shows what a store holds in a browser of this machine."""
