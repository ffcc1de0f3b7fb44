"""The cases, by what they are about; each class is a part of `EngineContract`."""
