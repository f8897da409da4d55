// How the HTML report looks. Colours are variables, once for light and once for dark; everything else is in units of the text.

/** Seven terms of the downtime and what remains, told apart by hue and, for who cannot, by order and numbers. */
const light = `
--paper:#fbfbfa;--card:#fff;--ink:#16181d;--soft:#5a606b;--faint:#8b919c;--line:#e4e5e8;--band:#f3f4f6;
--good:#1a7f45;--good-paper:#e6f4ea;--bad:#b3261e;--bad-paper:#fdecea;--warn:#8a5a00;--warn-paper:#fdf3dc;
--curve:#2a6fdb;--curve-fill:#2a6fdb1f;
--c1:#2a78d6;--c2:#7db3ee;--c3:#eb6834;--c4:#0f9d83;--c5:#6a4fc3;--c6:#d9a300;--c7:#d85c96;--c8:#8b919c;
color-scheme:light;`;
const dark = `
--paper:#121418;--card:#1a1d22;--ink:#eceef1;--soft:#a9afba;--faint:#7d838e;--line:#2c3037;--band:#1f2329;
--good:#5fcf8b;--good-paper:#16301f;--bad:#ff8a80;--bad-paper:#3a1a18;--warn:#f0bd58;--warn-paper:#33270f;
--curve:#6ba6ff;--curve-fill:#6ba6ff2b;
--c1:#4a93ea;--c2:#2c5f9e;--c3:#e8713f;--c4:#1fae92;--c5:#9480ea;--c6:#cf9d13;--c7:#d8649b;--c8:#7d838e;
color-scheme:dark;`;

const colours = Array.from({ length: 8 }, (_, index) => `.c${index + 1}{background:var(--c${index + 1})}`).join('');

export const reportStyle = `
:root{${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{margin-bottom:1.75rem}
.top{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:center;color:var(--soft);font-size:.875rem}
.badge{border-radius:1rem;padding:.1rem .7rem;font-weight:600}
.completed{background:var(--good-paper);color:var(--good)}
.aborted{background:var(--warn-paper);color:var(--warn)}
.failed{background:var(--bad-paper);color:var(--bad)}
h1{font-size:clamp(1.5rem,1.1rem + 1.8vw,2.25rem);line-height:1.2;margin:.6rem 0 .75rem;letter-spacing:-.015em;overflow-wrap:anywhere;text-wrap:balance}
header p{margin:0;max-width:46rem;color:var(--soft);overflow-wrap:anywhere}
h2{font-size:1.125rem;margin:0 0 .25rem;letter-spacing:-.005em}
.lead{margin:0 0 1rem;color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem;margin:0 0 1.25rem}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;background:var(--line);border:1px solid var(--line);border-radius:.75rem;overflow:hidden;margin:0 0 1.25rem}
.tiles>div{background:var(--card);padding:.9rem 1.1rem}
.tiles dt{color:var(--soft);font-size:.8125rem}
.tiles dd{margin:0}
.tiles .big{font-size:1.6rem;font-weight:650;letter-spacing:-.02em;line-height:1.25;white-space:nowrap}
.tiles .sub{color:var(--soft);font-size:.8125rem}
.error{border-color:var(--bad)}
.error h2{color:var(--bad)}
.error p{margin:.25rem 0;overflow-wrap:anywhere;white-space:pre-line}
.error .hint{margin-top:.6rem;padding:.6rem .8rem;background:var(--bad-paper);border-radius:.5rem}
code{font:.875em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.what,.faint{color:var(--faint)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1.25rem}
.pair>section{min-width:0}
.bar-row{display:grid;grid-template-columns:1fr auto;margin:0 0 .6rem}
.bar-label{color:var(--soft);font-size:.875rem}
.bar-value{font-weight:600}
.bar{grid-column:1/-1;position:relative;height:1.75rem;background:var(--band);border-radius:.3rem;overflow:hidden}
.bar i{position:absolute;top:0;bottom:0;min-width:1px;box-shadow:inset -1px 0 0 var(--card)}
${colours}
.bar-axis,.time{position:relative;height:1.25rem;font-size:.75rem;color:var(--faint)}
.bar-axis{margin-bottom:1rem}
.bar-axis span,.time span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.bar-axis span:first-child,.time span:first-child{transform:none}
.bar-axis .end,.time .end{transform:translateX(-100%)}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{font-weight:400;text-align:left}
th,td{padding:.35rem 0;border-top:1px solid var(--line);vertical-align:baseline}
thead th,thead td{border-top:0;color:var(--faint);font-size:.8125rem}
tfoot th,tfoot td{font-weight:600}
.numbers td{text-align:right;padding-left:1rem;white-space:nowrap}
.numbers .what{margin-left:.6rem;font-size:.8125rem}
.key{display:inline-block;width:.7rem;height:.7rem;border-radius:.2rem;margin-right:.5rem}
.facts th{color:var(--soft);padding-right:1rem;white-space:nowrap}
.facts td{text-align:right;overflow-wrap:anywhere}
.meter{display:block;height:.35rem;border-radius:.2rem;background:var(--band);margin-top:.2rem;overflow:hidden}
.meter i{display:block;height:100%;min-width:2px;background:var(--curve)}
.state{font-weight:600}
.equal{color:var(--good)}.different{color:var(--bad)}.skipped{color:var(--faint);font-weight:400}
.plots{position:relative;margin:0;--gutter:3.75rem}
.stages,.canvas,.time{margin-left:var(--gutter)}
.stages{position:relative;height:1.4rem;font-size:.75rem;color:var(--soft)}
.stages span{position:absolute;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;padding-left:.25rem;border-left:1px solid var(--line)}
.plot{margin:0 0 .5rem}
figcaption{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:.5rem;font-size:.8125rem;padding:.35rem 0 .2rem}
figcaption .what{font-size:.75rem}
.shown{margin-left:auto;color:var(--soft);white-space:nowrap}
.canvas{position:relative;height:4.75rem;border-bottom:1px solid var(--faint)}
.canvas svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.band{position:absolute;top:0;bottom:0}
.b0{background:var(--band)}
.rule{position:absolute;left:0;right:0;border-top:1px solid var(--line)}
.tick{position:absolute;right:100%;padding-right:.4rem;font-size:.6875rem;line-height:1;color:var(--faint);transform:translateY(-50%);white-space:nowrap}
.fill{fill:var(--curve-fill)}
.stroke{fill:none;stroke:var(--curve);stroke-width:1.75;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}

.strips{position:absolute;inset:0 0 0 var(--gutter)}
.strip{position:absolute;top:0;bottom:0}
.strip i{position:absolute;left:50%;top:1.4rem;bottom:1.25rem;border-left:1px solid var(--ink);display:none}
.strip dl{display:none;position:absolute;top:1.6rem;z-index:1;grid-template-columns:auto auto;gap:.1rem .75rem;margin:0;padding:.5rem .7rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;box-shadow:0 .3rem 1rem #0003;font-size:.75rem;white-space:nowrap;pointer-events:none}
.strip dl.right{left:calc(50% + .5rem)}
.strip dl.left{right:calc(50% + .5rem)}
.strip dt{color:var(--soft)}
.strip dd{margin:0;text-align:right;font-weight:600}
.strip:hover i{display:block}
.strip:hover dl{display:grid}
footer{color:var(--faint);font-size:.8125rem;overflow-wrap:anywhere}
@media (max-width:44rem){
main{padding:1.25rem .75rem 2rem}
section{padding:1rem}
.tiles{grid-template-columns:1fr 1fr}
.tiles>div{padding:.75rem .9rem}
.tiles .big{font-size:1.35rem}
.pair{grid-template-columns:1fr;gap:0}
.numbers .what{display:block;margin-left:1.2rem}
figcaption .what{order:3;flex-basis:100%}
.strip dl.left,.strip dl.right{position:fixed;inset:auto .75rem .75rem;font-size:.8125rem}
}
@media print{body{background:#fff}section,.tiles{break-inside:avoid}}
`;
