import js from "@eslint/js";
import globals from "globals";

export default [
  // Folders that Git ignores.
  { ignores: [".demo/", ".venv*/"] },
  js.configs.recommended,
  {
    files: ["custom_components/**/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["tests/frontend/**/*.js", "*.config.js"],
    languageOptions: { globals: globals.nodeBuiltin },
  },
];
