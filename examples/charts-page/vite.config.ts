import path from "node:path";
import { defineConfig } from "vite";

/** The run's directory is served beside the page. */
export default defineConfig({
  root: import.meta.dirname,
  publicDir: path.resolve(process.env.RUN ?? "run"),
});
