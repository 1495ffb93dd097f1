/** Imports what the runtime imports, which takes seconds, to find what is installed but broken. */
import { execa } from "execa";
import { requiredPackages } from "./check.js";

export interface ImportTrial {
  /** What Python said, by package, for each that cannot be imported. */
  broken: Record<string, string>;
  /** The name of the first CUDA device, null where there is none or PyTorch cannot be imported. */
  cuda: string | null;
}

/** Packages whose module has another name. */
const moduleOf: Readonly<Record<string, string>> = { "scikit-learn": "sklearn" };

/** @throws Error where `python` ends without an answer, as on a crash inside of an import */
export async function tryImports(python: string): Promise<ImportTrial> {
  const modules = Object.fromEntries(Object.keys(requiredPackages).map((name) => [name, moduleOf[name] ?? name]));
  const script = `
import importlib, json
broken, cuda = {}, None
for package, module in json.loads(${JSON.stringify(JSON.stringify(modules))}).items():
    try: importlib.import_module(module)
    except Exception as error: broken[package] = f"{type(error).__name__}: {error}"
if "torch" not in broken:
    import torch
    if torch.cuda.is_available(): cuda = torch.cuda.get_device_name(0)
print(json.dumps({"broken": broken, "cuda": cuda}))`;
  const result = await execa(python, ["-W", "ignore", "-c", script], { stdin: "ignore", timeout: 300_000 });
  return JSON.parse(result.stdout.trim().split("\n").at(-1) ?? "") as ImportTrial;
}
