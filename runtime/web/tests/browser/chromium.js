/**
 * Debian's Chromium without a screen, with WebGPU computed in software.
 */
import { chromium } from "playwright-core";

// Without the last four, each start looks for hosts that tests do not need.
const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @param {string[]} [flags] */
export function launch(flags = FLAGS) {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
}
