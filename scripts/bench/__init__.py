"""Ratios of Espalier's training time to that of what people run today, on this machine: `npm run bench`."""
