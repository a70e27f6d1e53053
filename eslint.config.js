import js from "@eslint/js";

const BROWSER = [
  "document", "window", "navigator", "fetch", "sessionStorage", "localStorage", "requestAnimationFrame", "setTimeout", "setInterval",
  "clearTimeout", "FormData", "File", "Blob", "Headers", "AbortController", "DOMException", "ImageData", "ResizeObserver", "TextDecoder",
  "TextEncoder", "URL", "CSSMediaRule", "HTMLSelectElement", "WheelEvent", "CompressionStream", "structuredClone", "Response",
];

export default [
  js.configs.recommended,
  {
    files: ["src/slicewise/service/web/page/**/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])) },
  },
];
