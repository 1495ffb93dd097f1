/** The report's style sheet: light or dark as the reader has it, one column on a narrow page, light on paper. */
export const style = `
:root { color-scheme: light dark; --ink: light-dark(#1c1e21, #eceef1); --dim: light-dark(#5d636b, #a5abb4); --line: light-dark(#d9dce0, #3a3f47); --ground: light-dark(#fff, #16181d); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p, li { max-width: 46rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .875em; overflow-wrap: anywhere; }
pre { overflow: auto; max-height: 30rem; padding: .75rem; border: 1px solid var(--line); border-radius: 4px; overflow-wrap: normal; }
summary { cursor: pointer; padding: .25rem 0; }
.note, figcaption, caption { color: var(--dim); font-size: .875rem; }
figcaption b { color: var(--ink); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); gap: 1.5rem; margin: 1rem 0; }
figure { margin: 0; min-width: 0; }
figcaption { margin-bottom: .5rem; }
.narrow { display: none; }
.scroll { overflow-x: auto; background: linear-gradient(to right, var(--ground) 50%, transparent) local left / 2.5rem 100% no-repeat, linear-gradient(to left, var(--ground) 50%, transparent) local right / 2.5rem 100% no-repeat, linear-gradient(to right, var(--line), transparent) scroll left / .75rem 100% no-repeat, linear-gradient(to left, var(--line), transparent) scroll right / .75rem 100% no-repeat; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9375rem; }
caption { text-align: left; padding-bottom: .25rem; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.right { text-align: right; }
tbody tr:first-child { font-weight: 600; }
@media (max-width: 620px) { .wide { display: none; } .narrow { display: block; } }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  figure, tr, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; }
  .wide { display: block; } .narrow { display: none; }
  details { display: none; }
}
`;
