"""CSS of how Tune is laid out: panes that scroll apart in a window, a drawer below the pairs on a phone."""

# ruff: noqa: E501
# Gradio drops container queries: what a narrow place asks for is said once, and where that is, by the window's width.
COMPACT = """
  AT .aa-grid { gap: 4px 8px; }
  AT .aa-pair { grid-template-columns: minmax(0, 1fr); gap: 2px; padding: 5px; }
  AT .aa-index, AT .aa-words > span:not(.aa-alike), AT .aa-alike .line { display: none; }
  AT .aa-views { max-width: none; display: grid; grid-template-columns: repeat(var(--each, 2), minmax(0, 1fr)); }
  AT .aa-view { width: 100%; height: auto; aspect-ratio: 1; }
  AT .aa-badge { font-size: 10px; line-height: 15px; letter-spacing: -.01em; }
"""  # pairs: a view's verdict is on the view
NARROW = """
  AT .aa-detail { padding: 14px; }
  AT .aa-pictures { grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 12px; }
  AT .aa-pictures figure { grid-column: span 2; }
  AT .aa-pictures figure.aa-beside { grid-column: 1 / -1; align-items: start; }
  AT .aa-beside .aa-views { --aa-side: 64px; }
  AT .aa-beside .aa-view { --aa-side: 64px; }
  AT .aa-detail table { min-width: 0; display: block; }
  AT .aa-detail tbody { display: block; }
  AT .aa-detail thead { display: none; }
  AT .aa-detail tr { display: grid; grid-template-columns: 22px minmax(0, 1fr) auto; gap: 2px 10px; padding: 5px 0; align-items: center; }
  AT .aa-detail tr.first { border-top: 1px solid var(--aa-line); }
  AT .aa-detail tr.second { padding-top: 0; }
  AT .aa-detail tr > * { padding: 0 !important; border: 0 !important; min-width: 0 !important; }
  AT .aa-detail tr > th { grid-column: 1 / 3; }
  AT .aa-detail tbody th small { display: inline; margin-left: 6px; }
  AT .aa-detail tr.unused > td:nth-child(3), AT .aa-detail tr.unused > td:nth-child(4), AT .aa-detail tr.unused > td:nth-child(5) { display: none; }
  AT .aa-detail tr > th + td { color: var(--aa-faint); text-align: right; }
  AT .aa-detail tr > td:nth-last-child(2) { text-align: right; }
  AT .aa-detail td.own { grid-column: 1 / -1; color: var(--aa-faint); }
  AT .aa-detail tr > td:last-child { grid-column: 1 / -1; font-size: 12px; color: var(--aa-faint); }
"""  # the table of an open pair: its rows fold
TUNE = (
    """
.aa-top { display: flex; align-items: baseline; gap: 4px 14px; padding: 10px 0 6px; position: relative; min-width: 0; }
.aa-top h1 { font-size: 20px; font-weight: 700; letter-spacing: -.02em; color: var(--body-text-color); }
.aa-top p { color: var(--aa-faint); font-size: 14px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.aa a.aa-skip { position: absolute; left: 0; top: 6px; z-index: 9; padding: 6px 14px; border-radius: 8px; background: var(--aa-card); color: var(--aa-a);
  border: 1px solid var(--aa-a); font-weight: 600; } .aa a.aa-skip:not(:focus) { clip-path: inset(50%); }

.aa-views { display: flex; flex-wrap: wrap; gap: 4px; max-width: calc(var(--each, 2) * (var(--aa-side) + 4px)); }
.aa-view { position: relative; display: block; width: var(--aa-side); height: var(--aa-side); border-radius: 8px; overflow: hidden;
  background: var(--aa-soft); outline: 1px solid var(--aa-line); }
#seen { --aa-side: clamp(88px, 12vh, 108px); } .aa-report { --aa-side: 108px; }
.aa-grid > .aa-policy { position: sticky; top: 0; z-index: 3; background: var(--body-background-fill); }
.aa-pair { scroll-margin-top: 84px; }
#stage { flex-wrap: nowrap; gap: 18px; align-items: stretch; min-height: 0; } #stage > * { min-width: 0 !important; }
#seen { flex: 1 1 0 !important; gap: 8px; } #seen > *, #controls > * { min-width: 0 !important; max-width: 100%; flex: none; }
#status-line { padding: 7px 12px; min-height: 36px; font-size: 13px; }
#problems { position: sticky; top: 0; z-index: 5; gap: 8px; } #problems:not(:has(p)) { display: none; }
#problems .aa-problem { background: var(--aa-card); }
#left > *, #image-row > * { flex: none; min-width: 0 !important; } #image-row { flex-direction: column; gap: 8px; }
#controls { gap: 12px; padding: 0 8px 12px 1px; } #versions { gap: 8px; align-items: flex-end; flex-wrap: nowrap; }
#versions > * { min-width: 0 !important; } #keep, #drop { flex: 0 0 auto; height: 32px; margin-bottom: 2px; }
.aa-map { display: block; width: 100%; max-width: 900px; border: 1px solid var(--aa-line); border-radius: 12px; background: var(--aa-card); margin-top: 8px; }
.aa-map [data-image] { cursor: pointer; } .aa-map [data-image]:hover { stroke: var(--body-text-color); }
.aa-subject { font-size: 13px; margin-top: 6px !important; color: var(--aa-faint); } .aa-subject b { color: var(--body-text-color); }
.aa-routes { font-size: 13px; display: grid; gap: 8px; } .aa-routes div { display: grid; gap: 2px; justify-items: start; border: 1px solid var(--aa-line); border-radius: 10px; padding: 8px 12px; }

.aa-pictures { display: grid; grid-template-columns: minmax(0, 300px) repeat(auto-fill, 224px); gap: 14px 20px; margin: 14px 0 16px; align-items: start; }
.aa-big { width: 100%; aspect-ratio: 1; border-radius: 10px; overflow: hidden; display: block; } .aa-big img { display: block; width: 100%; height: 100%; margin: 0; }
.aa .aa-pictures figure.aa-beside { grid-column: 1 / -1; display: flex; gap: 14px; align-items: center; } .aa-beside .aa-view { --aa-side: 84px; }
.aa-beside .aa-views { flex: none; --aa-side: 84px; }
@media (min-width: 861px) {
  #layout { height: calc(100dvh - 122px); min-height: 420px; align-items: stretch; }
  #left, #results, #stage, #seen { height: 100%; min-height: 0; } #left { gap: 12px; flex-wrap: nowrap; }
  #controls, #seen, #detail[data-open] { overflow: hidden auto !important; scrollbar-width: thin; flex-wrap: nowrap; }
  #controls { flex: 1 1 0 !important; min-height: 0; border-top: 1px solid var(--aa-line); padding-top: 10px; }
  #results { flex-wrap: nowrap; } #seen { padding: 2px 8px 16px 2px; } #drawer { display: none; }
}
@media (min-width: 1101px) {
  #stage:has(#detail[data-open]) > #seen { flex: 0 1 47% !important; }
  #stage:not(:has(#detail[data-open])) { flex-direction: column; overflow: hidden auto; scrollbar-width: thin; }
  #stage:not(:has(#detail[data-open])) > #seen { height: auto; flex: none !important; overflow: visible !important; }
  #detail[data-open] { flex: 1 1 0; border: 1px solid var(--aa-line); border-radius: 14px; background: var(--aa-card); }
  #detail[data-open] .aa-detail { border: 0; margin-top: 0; }
  #detail[data-open] header { position: sticky; top: 0; z-index: 2; background: var(--aa-card); padding: 12px 0 8px; margin-top: -14px; }
}
@media (max-width: 1100px) {
  #stage { flex-direction: column; }
  #detail[data-open] { position: fixed; left: 0; right: 0; bottom: 0; z-index: 6; height: 56dvh; overflow: hidden auto !important; background: var(--aa-card);
    border-radius: 14px 14px 0 0; box-shadow: 0 -6px 24px rgba(15, 23, 42, .18); }
  #detail[data-open] .aa-detail { border: 0; margin-top: 0; } #detail[data-open] header { position: sticky; top: 0; z-index: 2; background: var(--aa-card); }
  #seen:has(~ #detail[data-open]) { padding-bottom: 57dvh; } #seen:has(~ #detail[data-open]) .aa-pair { scroll-margin-bottom: 57dvh; }
}
@media (min-width: 861px) and (max-width: 1100px) {
  #stage:not(:has(#detail[data-open])) { overflow: hidden auto; } #stage:not(:has(#detail[data-open])) > #seen { height: auto; flex: none !important; overflow: visible !important; }
}
@media (max-width: 860px) {
  #left { position: fixed; left: 0; right: 0; bottom: 0; z-index: 5; width: 100%; height: 43dvh; gap: 8px; flex-wrap: nowrap; overflow: hidden auto; padding: 0 12px 12px;
    background: var(--body-background-fill); border-top: 1px solid var(--aa-line); border-radius: 14px 14px 0 0; box-shadow: 0 -4px 18px rgba(15, 23, 42, .16); }
  #left[data-shut] { height: 44px; overflow: hidden; } #drawer { position: sticky; top: 0; z-index: 4; background: var(--body-background-fill); margin: 0 -12px; }
  .aa-drawer { width: 100%; height: 40px; border: 0; background: none; font: inherit; font-size: 14px; font-weight: 600; color: var(--body-text-color); cursor: pointer; }
  .aa-drawer::before { content: ""; display: block; width: 36px; height: 4px; border-radius: 2px; background: var(--aa-track); margin: 0 auto 4px; }
  .aa-drawer::after { content: " \\25BE"; } [data-shut] .aa-drawer::after { content: " \\25B4"; }
  #image-row { flex-direction: row; flex-wrap: nowrap; align-items: stretch; gap: 10px; } #image-row > #source-image { flex: 0 0 112px; height: 112px !important; }
  #image-row > #samples { flex: 1 1 0; max-width: 400px; } #samples .aa-label { display: none; } .aa-samples { gap: 6px; }
  #results { width: 100%; flex: none !important; padding-bottom: 44dvh; } #controls { padding: 0; }
  .aa-pair { scroll-margin-bottom: 44dvh; } .aa-top p { display: none; }
  #status-line { font-size: 12px; padding: 5px 10px; } .aa-advice { font-size: 12px; } .aa-policy .kind:not(:has(b)) { display: none; }
  .aa-policy h2 { font-size: 14px; } .aa-policy p { font-size: 11px; line-height: 1.3; }
}
"""
    + "@media (max-width: 640px) {"
    + COMPACT.replace("AT ", "#seen ")
    + "}"
    + "@media (min-width: 1101px) {"
    + COMPACT.replace("AT ", "#stage:has(#detail[data-open]) #seen ")
    + NARROW.replace("AT ", "#detail[data-open] ")
    + "}"
    + "@media (max-width: 860px) {"
    + NARROW.replace("AT ", "#detail ")
    + "}"
    + """
@media (max-width: 420px) { #detail .aa-pictures figure:not(.aa-beside) { grid-column: span 3; } #detail .aa-pictures figure.wide:not(.aa-beside) { grid-column: 1 / -1; order: 1; }
  #detail .aa-pictures figure.aa-beside { order: 2; } }
"""
)
