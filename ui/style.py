"""The page's CSS. Gradio's own variables carry light and dark; the few colours of ours are set for both."""

from adaptaug.ui.style_tune import TUNE

# ruff: noqa: E501
CSS = (
    """
.gradio-container { max-width: min(1680px, 100%) !important; min-width: 0 !important;
  width: 100%; margin: 0 auto !important; padding: 0 clamp(12px, 1.6vw, 20px) 12px !important;
  --aa-ok: #166534; --aa-bad: #b42318; --aa-bad-fill: #b42318; --aa-a: #4f46e5; --aa-b: #b45309;
  --aa-faint: var(--neutral-600); --aa-line: var(--neutral-200); --aa-card: #ffffff; --aa-soft: var(--neutral-50);
  --aa-bar: #6366f1; --aa-track: #cbd5e1; --aa-c: #0f766e; --aa-d: #be185d;
  --aa-e: #0369a1; --aa-f: #7c3aed; --aa-g: #4d7c0f; --aa-h: #a21caf;
  --aa-die: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath fill-rule='evenodd' d='M4 0h10a4 4 0 0 1 4 4v10a4 4 0 0 1-4 4H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4zm1 3.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4zm8 0a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4zm-4 4a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4zm-4 4a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4zm8 0a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z'/%3E%3C/svg%3E"); }
.dark .gradio-container, .gradio-container.dark { --aa-ok: #86efac; --aa-bad: #fda29b; --aa-bad-fill: #b42318;
  --aa-a: #a5b4fc; --aa-b: #fcd34d; --aa-faint: var(--neutral-400); --aa-line: var(--neutral-700);
  --aa-card: var(--neutral-900); --aa-soft: var(--neutral-800); --aa-bar: #818cf8; --aa-track: #475569; --aa-c: #5eead4; --aa-d: #f9a8d4;
  --aa-e: #7dd3fc; --aa-f: #c4b5fd; --aa-g: #bef264; --aa-h: #f0abfc; }
.gradio-container { overflow: clip !important; }  /* hidden would hold sticky parts to itself */
.gradio-container > .main { padding: 0 !important; }
.gradio-container > .main, .main > .wrap, .wrap > .contain, #layout, .aa-layout { min-width: 0 !important; max-width: 100% !important; width: 100%; }
.gradio-container .html-container { padding: 0 !important; }
.aa { font-size: 14px; line-height: 1.45; color: var(--body-text-color); }
.aa h1, .aa h2, .aa h3, .aa p, .aa figure { margin: 0; padding: 0; }
.aa h2 { font-size: 16px; font-weight: 650; letter-spacing: -.01em; color: var(--body-text-color); }
.aa .faint { color: var(--aa-faint); }
.aa .num { font-variant-numeric: tabular-nums; }


#layout, .aa-layout { gap: 24px; align-items: flex-start; flex-wrap: nowrap; }
#left, .aa-left { flex: 0 0 300px !important; min-width: 0 !important; gap: 20px; }
.aa-left { gap: 12px; }
#results, .aa-results { flex: 1 1 0 !important; min-width: 0 !important; gap: 14px; }
#controls { gap: 8px; } #choices { gap: 12px; margin-top: 6px; }
#samples .aa-samples { margin-top: 6px; }
#policies input { text-overflow: ellipsis; padding-right: 20px; }
#problem:not(:has(p)) { display: none; }
#tabs .tab-container button.selected { color: var(--aa-a); }
[data-testid=status-tracker].hide { display: none; }  /* transparent only, it would still be read out */
.min_value, .max_value { color: var(--aa-faint) !important; }
#policies, #seed-row { gap: 10px; flex-wrap: nowrap; align-items: flex-end; }
#policies > *, #seed-row > * { min-width: 0 !important; }
#seed-row { border: 1px solid var(--block-border-color); border-radius: var(--block-radius);
  background: var(--block-background-fill); padding-right: 12px; }
#seed-row .block, #seed-row .form { border: 0; box-shadow: none; background: none; }
#dice { flex: 0 0 auto !important; height: 40px; margin-bottom: 12px; padding: 0 14px; white-space: nowrap;
  font-size: 14px; font-weight: 600; display: inline-flex; align-items: center; gap: 8px; }
#dice::before { content: ""; width: 17px; height: 17px; background: currentColor; mask: var(--aa-die) center / contain; }
#results > *, #left > *, #controls > *, .aa-left > *, .aa-results > * { min-width: 0 !important; max-width: 100%; }

#status-line { padding: 10px 14px; border: 1px solid var(--aa-line); border-radius: 10px;
  background: var(--aa-soft); font-size: 14px; color: var(--body-text-color); min-height: 42px; overflow-wrap: anywhere; }
.aa p.aa-problem { padding: 10px 14px; border-radius: 10px; border: 1px solid var(--aa-bad); color: var(--aa-bad);
  font-size: 14px; overflow-wrap: anywhere; }

.aa-samples { display: grid; grid-template-columns: repeat(5, 1fr); gap: 8px; }
.aa-samples button { padding: 0; border: 1px solid var(--aa-line); border-radius: 8px; overflow: hidden; cursor: pointer;
  background: var(--aa-soft); text-align: center; }
.aa-samples img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; margin: 0; }
.aa-samples button:hover { border-color: var(--aa-a); box-shadow: 0 0 0 1px var(--aa-a); }
.aa-label { font-size: 13px; font-weight: 600; color: var(--body-text-color); }
.aa button:focus-visible, .aa [tabindex]:focus-visible, .aa a:focus-visible { outline: 3px solid var(--aa-a);
  outline-offset: 2px; }

#advice:not(:has(p)) { display: none; } .aa-advice { display: flex; gap: 6px 14px; align-items: center; flex-wrap: wrap; font-size: 13px; }
.aa-advice p { flex: 1 1 300px; color: var(--aa-faint); } .aa-advice b { color: var(--body-text-color); }
.aa button[data-preset], .aa button[data-use] { border: 1px solid var(--aa-line); border-radius: 8px; background: var(--aa-soft); padding: 5px 12px; font: inherit; font-size: 13px;
  font-weight: 600; cursor: pointer; color: var(--body-text-color); } .aa button[data-preset]:hover, .aa button[data-use]:hover { border-color: var(--aa-a); }
#how-to-look { margin: 0 0 10px; }
.aa-grid { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 16px; }
.aa-policy { border-bottom: 2px solid var(--aa-line); padding-bottom: 8px; min-width: 0; overflow-wrap: anywhere; }
.aa-policy p { font-size: 13px; color: var(--aa-faint); }
.aa-policy .broken { color: var(--aa-bad); font-weight: 600; }
.aa-policy .kept { color: var(--aa-ok); font-weight: 600; }
.aa-pair { display: grid; grid-template-columns: auto auto minmax(0, 1fr); gap: 12px; align-items: center; width: 100%;
  text-align: left; padding: 7px; border: 1px solid transparent; border-radius: 12px; background: transparent;
  cursor: pointer; color: var(--body-text-color); font: inherit; }
.aa-pair:hover { background: var(--aa-soft); border-color: var(--aa-line); }
.aa-pair[aria-pressed=true] { background: var(--aa-soft); border-color: var(--aa-a); box-shadow: 0 0 0 1px var(--aa-a); }
.aa-index { width: 1.1em; text-align: right; font-size: 13px; color: var(--aa-faint); font-variant-numeric: tabular-nums; }
.aa-view img { display: block; width: 100%; height: 100%; margin: 0; }
.aa-view.tiny img, .aa-big.tiny img { image-rendering: pixelated; }
.aa-view.bad { box-shadow: inset 0 0 0 3px var(--aa-bad-fill); }
.aa-view.bad img { padding: 3px; border-radius: 8px; }
.aa-badge { position: absolute; left: 0; right: 0; bottom: 0; font-size: 11px; font-weight: 650; line-height: 18px;
  text-align: center; color: #fff; background: var(--aa-bad-fill); }
.aa-badge.mild { background: rgba(24, 24, 27, .82); }
.aa-words { display: flex; flex-direction: column; gap: 6px; font-size: 12px; line-height: 1.35; min-width: 0; }
.aa-words b { font-weight: 650; font-size: 13px; }
.aa-words .ok b { color: var(--aa-ok); }
.aa-words .no b { color: var(--aa-bad); }
.aa-words .faint { display: block; line-height: 15px; }
.aa-alike { display: grid; gap: 4px; color: var(--aa-faint); max-width: 150px; }
.aa-alike .line { position: relative; display: block; height: 6px; margin: 2px 4px; border-top: 0;
  background: linear-gradient(var(--aa-line), var(--aa-line)) center / 100% 2px no-repeat; }
.aa-alike .line i { position: absolute; top: 0; height: 6px; border-radius: 3px; background: var(--aa-track); }
.aa-alike .line b { position: absolute; top: -1px; width: 8px; height: 8px; margin-left: -4px; border-radius: 4px; background: var(--aa-bar); }
.aa-empty { border: 1.5px dashed var(--neutral-400); border-radius: 14px; padding: 56px 24px; text-align: center; }
.aa-empty p { margin-top: 6px; color: var(--aa-faint); }

.aa-stats { display: grid; gap: 9px; }
.aa-stat { display: grid; grid-template-columns: 112px 1fr 48px; gap: 10px; align-items: center; font-size: 13px; }
.aa-stat .value { text-align: right; font-variant-numeric: tabular-nums; }
.aa-track { height: 7px; border-radius: 4px; background: var(--aa-line); overflow: hidden; }
.aa-track i { display: block; height: 100%; background: var(--aa-bar); border-radius: 4px; }
.aa-panel { display: grid; gap: 12px; }
.aa-file { font-size: 13px; overflow-wrap: anywhere; }
.aa-histogram { display: block; width: 100%; height: 72px; }
.aa-axis { display: flex; justify-content: space-between; font-size: 11px; color: var(--aa-faint); margin-top: 2px; }
.aa-source { position: relative; display: block; border-radius: 10px; overflow: hidden; }
.aa-source img { display: block; width: 100%; margin: 0; }
.aa-source svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.aa figcaption { font-size: 12px; color: var(--aa-faint); margin-top: 5px; }

.aa-detail { border: 1px solid var(--aa-line); border-radius: 14px; padding: 18px; background: var(--aa-card);
  margin-top: 10px; scroll-margin-top: 12px; }
.aa-detail header { display: flex; justify-content: space-between; gap: 12px; align-items: baseline; flex-wrap: wrap; }
.aa-detail header a { color: var(--aa-a); font-size: 13px; text-decoration: underline; }
.aa-wipe .aa-big { position: relative; } .aa-wipe .over { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--cut, 0%)) 0 0); }
.aa-cut { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 8px; align-items: center; font-size: 12px; color: var(--aa-faint); margin-top: 4px; }
.aa-cut input { width: 100%; min-width: 0; margin: 0; accent-color: var(--aa-bar); }
.aa-cut input:focus-visible { outline: 3px solid var(--aa-a); outline-offset: 2px; }
.aa-beside b { color: var(--body-text-color); } .aa-beside span.line { display: block; margin-top: 3px; }
.aa-key { font-weight: 700; }
.aa-key.a { color: var(--aa-a); } .aa-key.b { color: var(--aa-b); } .aa-key.c { color: var(--aa-c); } .aa-key.d { color: var(--aa-d); } .aa-key.e { color: var(--aa-e); } .aa-key.f { color: var(--aa-f); } .aa-key.g { color: var(--aa-g); } .aa-key.h { color: var(--aa-h); }
.aa-scroll { overflow-x: auto; }
.aa table { border-collapse: collapse; width: 100%; min-width: 780px; font-size: 13px; margin: 0; }
.aa th, .aa td { text-align: left; vertical-align: top; padding: 7px 14px 7px 0; border: 0; color: var(--body-text-color);
  background: transparent; }
.aa td:last-child { min-width: 230px; }
.aa thead th { white-space: nowrap; font-size: 12px; color: var(--aa-faint); font-weight: 600; border-bottom: 1px solid var(--aa-line); }
.aa tbody tr.first > * { border-top: 1px solid var(--aa-line); }
.aa tbody tr.second > td { padding-top: 0; }
.aa tbody th { font-weight: 600; } .aa tbody th small { display: block; font-weight: 400; color: var(--aa-faint);
  font-size: 12px; }
.aa td.num { white-space: nowrap; font-variant-numeric: tabular-nums; }
.aa tr.unused td, .aa tr.unused th { color: var(--aa-faint); font-weight: 400; }
.aa-range .safe { stroke: var(--aa-track); stroke-width: 6; stroke-linecap: round; }
.aa-value { display: flex; align-items: center; gap: 10px; }
.aa-value > span { min-width: 50px; }
.aa-range { width: 110px; height: 14px; flex: none; }
.aa-note { margin-top: 10px; font-size: 12px; color: var(--aa-faint); }

#tuning { gap: 8px; border-top: 1px solid var(--aa-line); padding-top: 14px; }
#policy-problem:not(:has(p)) { display: none; }
.aa-editor { display: grid; gap: 6px; }
.aa-editor details { border: 1px solid var(--aa-line); border-radius: 10px; background: var(--aa-card); }
.aa-editor summary { padding: 8px 12px; cursor: pointer; font-weight: 600; font-size: 13px; border-radius: 10px; }
.aa-editor summary:focus-visible, .aa-editor input:focus-visible { outline: 3px solid var(--aa-a); outline-offset: 2px; }
.aa-editor summary .faint { font-weight: 400; margin-left: 4px; }
.aa-op { border: 0; border-top: 1px solid var(--aa-line); margin: 0; padding: 8px 12px 10px; min-width: 0; }
.aa-editor > .aa-op { border-top: 0; padding: 2px 0 6px; }
.aa-op legend { float: left; width: 100%; padding: 0; font-weight: 600; font-size: 13px; }
.aa-op .aa-controls { clear: both; display: grid; gap: 4px; padding-top: 6px; }
.aa-op.off .aa-controls { display: none; }
.aa-tick { display: flex; gap: 8px; align-items: flex-start; cursor: pointer; font-size: 13px; line-height: 1.35; }
.aa-tick input { appearance: auto !important; margin: 2px 0 0; width: 15px; height: 15px; flex: none; accent-color: var(--aa-bar); }
.aa-tick.lock { font-size: 12px; color: var(--aa-faint); }
.aa-slide { display: grid; grid-template-columns: 76px minmax(0, 1fr) 62px; gap: 8px; align-items: center; font-size: 12px; }
.aa-slide span { color: var(--aa-faint); overflow-wrap: anywhere; }
.aa-slide input { width: 100%; min-width: 0; margin: 0; accent-color: var(--aa-bar); }
.aa-slide input[type=number] { text-align: right; font: inherit; font-variant-numeric: tabular-nums; padding: 1px 4px; appearance: textfield;
  border: 1px solid var(--aa-line); border-radius: 5px; background: transparent; color: var(--body-text-color); }
.aa-op { position: relative; } .aa-look { position: absolute; right: 12px; top: 8px; border: 0; background: none; padding: 0; font: inherit;
  font-size: 12px; color: var(--aa-a); text-decoration: underline; cursor: pointer; }
#sweep { display: none; } .aa-slot:not(:empty) { clear: both; padding-top: 8px; }
.aa-sweep { display: grid; gap: 8px; padding: 10px; border-radius: 8px; background: var(--aa-soft); font-size: 12px; }
.aa-sweep .aa-formula { font-size: 13px; font-style: italic; } .aa-strip { display: grid; gap: 4px; }
.aa-shots { display: grid; grid-template-columns: repeat(var(--n), minmax(0, 1fr)); gap: 4px; justify-items: center; }
.aa-shots figure { width: 100%; max-width: 72px; } .aa-shots img { display: block; width: 100%; aspect-ratio: 1; margin: 0; border-radius: 6px;
  outline: 2px solid transparent; outline-offset: -2px; }
.aa-shots img.back { outline-color: #d97706; } .aa-shots img.broken { outline: 3px solid var(--aa-bad-fill); outline-offset: -3px; }
.aa .aa-shots figcaption { text-align: center; font-variant-numeric: tabular-nums; margin: 1px 0 0; }
.aa-scale { display: block; width: 80%; height: 14px; margin: 0 auto; overflow: visible; }
.aa-scale .kept { fill: #22a55b; } .aa-scale .back { fill: #d97706; } .aa-scale .broken { fill: var(--aa-bad-fill); }
.aa-scale .asked { fill: none; stroke: var(--body-text-color); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.aa-kinds { display: flex; flex-wrap: wrap; gap: 2px 12px; } .aa-kinds span::before { content: ""; display: inline-block; width: 12px; height: 6px; margin-right: 5px; vertical-align: middle; }
.aa-kinds .asked::before { border: solid var(--body-text-color); border-width: 0 1.5px 1.5px; }
.aa-kinds .kept::before { background: #22a55b; } .aa-kinds .back::before { background: #d97706; } .aa-kinds .broken::before { background: var(--aa-bad-fill); }
.aa-controls small { color: var(--aa-faint); font-size: 12px; }
#views-a, #views-b { display: none; }
#lines .cm-scroller { font-size: 12px; } #use > div { gap: 8px; }
#files, #exchange, #papers { gap: 8px; flex-wrap: nowrap; } #files > *, #exchange > *, #papers > * { min-width: 0 !important; }
.aa-share { display: grid; gap: 6px; }
.aa-share button { border: 1px solid var(--aa-line); border-radius: 8px; background: var(--aa-soft); padding: 6px 12px;
  font-size: 13px; font-weight: 600; cursor: pointer; color: var(--body-text-color); }
.aa-share button:hover { border-color: var(--aa-a); }
.aa-share p { font-size: 12px; color: var(--aa-faint); overflow-wrap: anywhere; } .aa-share p:empty { display: none; }
.aa pre.aa-code { margin: 0; padding: 10px 12px; border-radius: 8px; border: 1px solid var(--aa-line); font-size: 12px;
  background: var(--aa-soft); overflow-x: auto; color: var(--body-text-color); font-family: ui-monospace, monospace; }
.aa-charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 22px 24px; align-items: end; }
.aa-charts.small { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px 18px; }
.aa-chart { min-width: 0; }
.aa .aa-chart figcaption { display: flex; flex-wrap: wrap; gap: 2px 12px; margin: 0 0 6px; font-size: 12px; align-items: baseline; }
.aa-chart figcaption b { font-size: 13px; font-weight: 650; color: var(--body-text-color); }
.aa-chart .key { display: inline-flex; gap: 6px; align-items: center; color: var(--body-text-color); }
.aa-chart .key i { width: 12px; height: 4px; border-radius: 2px; }
.aa-chart .plot { position: relative; height: 170px; margin: 0 6px 20px 40px; }
.aa-chart.flat .plot { margin-left: 12px; margin-right: 12px; } .aa-charts.small .plot { height: 84px; }
.aa-chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.aa-chart svg path { vector-effect: non-scaling-stroke; } .aa-chart svg path:not(.bars) { fill: none; stroke-linecap: round; stroke-linejoin: round; }
.aa-chart .line { stroke-width: 2; } .aa-chart .dot { stroke-width: 6; } .aa-chart .best { stroke-width: 11; }
.aa-chart .grid { stroke: var(--aa-line); stroke-width: 1; } .aa-chart.flat svg { border-bottom: 1px solid var(--aa-track); }
.aa-chart svg .bars { fill-opacity: .62; } .aa-chart svg .stairs { stroke-width: 2; stroke-linejoin: miter; } .aa-chart .band { fill: var(--aa-line); }
.aa-chart .promise { stroke: var(--aa-bad); stroke-width: 1.5; stroke-dasharray: 5 4; stroke-linecap: butt !important; }
.aa-chart .preset { stroke: var(--aa-b); stroke-width: 2; stroke-dasharray: 1 5; }
.aa-chart .ys, .aa-chart .xs { position: absolute; inset: 0; font-size: 11px; line-height: 1; color: var(--aa-faint);
  font-variant-numeric: tabular-nums; pointer-events: none; }
.aa-chart .ys span { position: absolute; right: 100%; margin-right: 8px; transform: translateY(50%); white-space: nowrap; }
.aa-chart .xs span { position: absolute; top: 100%; margin-top: 7px; transform: translateX(-50%); white-space: nowrap; }
.aa .aa-chart p.across { font-size: 11px; color: var(--aa-faint); text-align: center; margin-left: 40px; line-height: 1.3; }
.aa .aa-chart.flat p.across { margin-left: 0; }
.aa-run { display: grid; gap: 14px; } .aa-run header { display: grid; gap: 2px; overflow-wrap: anywhere; }
.aa h3 { font-size: 14px; font-weight: 650; color: var(--body-text-color); margin-top: 8px; }
.aa-scroll.tall { max-height: 330px; overflow-y: auto; } .aa-run table { min-width: 360px; }
.aa-run td:last-child { min-width: 0; } .aa-lead { color: var(--aa-ok); font-size: 12px; font-weight: 600; margin-left: 6px; }
#run-problem:not(:has(p)), #demo-progress:not(:has(p)) { display: none; }
#demo-buttons { gap: 8px; flex-wrap: nowrap; } #demo-buttons > * { min-width: 0 !important; }
#demo-stop { flex: 0 0 64px !important; } #demo-buttons button, #use-policy { font-size: 14px; padding: 8px 12px; }
.aa-about { display: grid; gap: 8px; } .aa-about p { font-size: 13px; }
.aa-progress { display: grid; gap: 6px; } .aa-progress p { font-size: 13px; overflow-wrap: anywhere; }
.aa-progress progress { width: 100%; height: 10px; appearance: none; border: 0; border-radius: 5px; overflow: hidden; background: var(--aa-line); }
.aa-progress progress::-webkit-progress-bar { background: var(--aa-line); }
.aa-progress progress::-webkit-progress-value { background: var(--aa-bar); border-radius: 5px; }
.aa-progress progress::-moz-progress-bar { background: var(--aa-bar); }
.aa-set { display: grid; gap: 16px; } .aa-set h2 { margin-top: 8px; } .aa-set > * { min-width: 0; }
.aa-card { border: 1px solid var(--aa-line); border-radius: 12px; background: var(--aa-soft); padding: 14px 16px; display: grid; gap: 6px; }
.aa-card button[data-use] { justify-self: start; } .aa-card h2 { margin: 0; } .aa-card ul, .aa ul.aa-problems { margin: 0; padding-left: 18px; font-size: 13px; overflow-wrap: anywhere; }
.aa ul.aa-problems { color: var(--aa-bad); display: grid; gap: 4px; } .aa-card span[data-preset] { color: var(--aa-a); }
.aa table.narrow { min-width: 320px; } .aa table.narrow td:last-child { min-width: 0; padding-right: 0; }
.aa-votes { display: grid; gap: 5px; margin: 2px 0 4px; font-size: 13px; }
.aa-votes > div { display: grid; grid-template-columns: 84px 90px 40px minmax(0, 1fr); gap: 10px; align-items: center; }
.aa-votes .num { text-align: right; } .aa-votes .faint { font-size: 12px; overflow-wrap: anywhere; }
.aa-share-cell { display: grid; grid-template-columns: 52px minmax(30px, 120px); gap: 8px; align-items: center; }
.aa-share-cell b { font-weight: 600; text-align: right; } .aa-share-cell.bad b { color: var(--aa-bad); }
.aa-share-cell.faint b { color: var(--aa-faint); font-weight: 400; } .aa-share-cell.bad i { background: var(--aa-bad-fill); }
.aa tr.sum > * { border-top-width: 2px !important; font-weight: 650; }
.aa-worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 12px; }
.aa-worst button { display: grid; gap: 6px; padding: 6px; border: 1px solid var(--aa-line); border-radius: 12px; background: transparent;
  cursor: pointer; text-align: left; color: var(--body-text-color); font: inherit; min-width: 0; align-content: start; }
.aa-worst button:hover { border-color: var(--aa-a); background: var(--aa-soft); }
.aa-worst .aa-view { width: auto; height: auto; aspect-ratio: 1; flex: 1 1 0; min-width: 0; }
.aa-worst .told { display: grid; font-size: 12px; overflow-wrap: anywhere; } .aa-worst .told b { color: var(--aa-bad); font-weight: 650; }
.aa-worst .told span { color: var(--aa-faint); }
.aa-gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 10px; margin-top: 6px; }
.aa-gallery button { display: grid; gap: 4px; padding: 4px; border: 1px solid var(--aa-line); border-radius: 10px; background: var(--aa-card); cursor: pointer;
  text-align: left; font: inherit; color: var(--body-text-color); min-width: 0; align-content: start; } .aa-gallery button:hover { border-color: var(--aa-a); }
.aa-gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; margin: 0; border-radius: 6px; background: var(--aa-soft); }
.aa-gallery .told { display: grid; font-size: 12px; overflow-wrap: anywhere; color: var(--aa-faint); } .aa-gallery .told span { color: var(--body-text-color); }
#set-gallery { position: sticky; bottom: 0; z-index: 4; max-height: 52vh; overflow: hidden auto !important; border-radius: 12px; box-shadow: 0 -6px 24px rgba(15, 23, 42, .18); }
#set-gallery:not([data-open]), #set-gallery:not(:has(section)) { display: none; } #set-gallery header { display: flex; justify-content: space-between; gap: 12px; }
.aa [data-close], .aa-share-cell button { border: 0; background: none; padding: 0; font: inherit; color: inherit; text-decoration: underline; cursor: pointer; }
.aa-share-cell button { text-align: right; } #set-bars .plot { cursor: pointer; }
.aa-marks { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 12px; } .aa-marks span { display: inline-flex; gap: 8px; align-items: center; }
.aa-marks i { width: 22px; border-top: 2px dashed var(--aa-bad); } .aa-marks i.preset { border-top: 3px dotted var(--aa-b); }
#set-samples { gap: 8px; flex-wrap: wrap; } #set-left button { font-size: 14px; padding: 8px 12px; }
#set-problem:not(:has(li)), #set-progress:not(:has(p)), #set-halted:not(:has(p)) { display: none; } #set-folder { flex: 1 1 100%; }
.aa-guide { display: grid; gap: 10px; max-width: 900px; padding: 14px 0; }
.aa-guide ul { margin: 0; padding-left: 20px; display: grid; gap: 4px; }
.aa-guide h2 { margin-top: 14px; } .aa-guide table { min-width: 480px; } .aa-guide td:last-child { min-width: 0; }

@media (max-width: 860px) {
  #layout, .aa-layout { flex-direction: column; gap: 18px; align-items: stretch; }
  #tabs .tab-container button { padding: 0 8px; }
  .aa-left, .aa-results { width: 100%; flex: none !important; }
  .aa-guide table { min-width: 0; } .aa-guide th, .aa-guide td { padding-right: 8px; overflow-wrap: break-word; }
  .aa-votes > div { grid-template-columns: 84px 1fr 40px; gap: 0 10px; } .aa-votes .faint { grid-column: 1 / -1; }
  .aa-charts, .aa-charts.small { grid-template-columns: minmax(0, 1fr); }
  .aa-charts.small { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
"""
    + TUNE
)
