import path from "node:path";
import { defineConfig } from "vite";

/** The page of the dashboard, built into what the package ships. */
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  build: {
    outDir: path.resolve(import.meta.dirname, "..", "..", "..", "dist", "dashboard", "app"),
    emptyOutDir: true,
    target: "es2022",
    chunkSizeWarningLimit: 1000,
    // The server's policy allows styles and icons in the page, but no scripts: nothing but icons may be inlined.
    modulePreload: { polyfill: false },
  },
  logLevel: "warn",
});
