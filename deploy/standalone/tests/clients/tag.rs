//! `footfall.js` in Chromium.

mod navigation;
