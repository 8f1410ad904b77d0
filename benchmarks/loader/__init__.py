"""The loader beside MosaicML streaming and WebDataset."""
