"""The frozen pretrained transformer: how it is loaded, where adapters may attach, what reads its output."""
