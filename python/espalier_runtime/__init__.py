"""The Python half of Espalier: it loads, searches, trains, evaluates and exports; TypeScript plans and reads."""
