/** Short names of slots, for the heads of columns. */
const labels: Record<string, string> = {
  "attention.query": "query",
  "attention.key": "key",
  "attention.value": "value",
  "attention.output": "output",
  "mlp.up": "up",
  "mlp.gate": "gate",
  "mlp.down": "down",
};

/** Slots in the order of the data through a layer; those not named here come last, as they are given. */
const order = [...Object.keys(labels), "attention", "mlp", "block"];

export function slotLabel(slot: string): string {
  return labels[slot] ?? slot;
}

export function compareSlots(a: string, b: string): number {
  const place = (slot: string) => (order.includes(slot) ? order.indexOf(slot) : order.length);
  return place(a) - place(b);
}
