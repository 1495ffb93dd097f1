/** The Python interpreter that tests run. */
export function testPython(): string {
  const python = process.env.ESPALIER_PYTHON;
  if (!python) throw new Error("Set ESPALIER_PYTHON to a Python that has Espalier's requirements; npm test does so.");
  return python;
}
