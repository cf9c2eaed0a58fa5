/// How the page looks: in light and dark, on a phone and on paper.
///
/// Texts have a contrast of 4.5 or more in both modes. Sequential colours run in one hue from near
/// the ground to far from it, so that they can be told apart with any colour vision and in print;
/// formats and methods are told apart by words too.
enum PageStyle {
    static let sheet: StaticString = """

        :root {
          --ground: #ffffff; --raised: #f5f7f9; --ink: #1a1f25; --soft: #545d68; --line: #d5dbe2;
          --accent: #0a58a6; --blue: #2b6cb0; --orange: #b4530a;
          --q0: #e4edf6; --q1: #cbdeef; --q2: #aecbe5; --q3: #8db5d9; --q4: #6b9dcb; --q5: #4c85ba;
          --q6: #336da5; --q7: #1e548b; --q8: #0c3c6b; --shallow: #8db5d9; --deep: #0b3359;
          --dense: #7d8793; --low-rank: #2b6cb0; --pivoted-low-rank: #0b8a72; --tucker: #8a5cb8;
          --tensor-train: #c2540a; --tensor-ring: #b83280; --block-term: #8a6d00; --mixture: #c0392b;
          --m1: #c2540a; --m2: #0b8a72; --m3: #8a5cb8; --m4: #8a6d00; --m5: #b83280; --m6: #5b6570;
          --m7: #c0392b; --m0: #3f7d20;
        }
        @media screen and (prefers-color-scheme: dark) {
          :root {
            --ground: #14181c; --raised: #1d2329; --ink: #e5e9ee; --soft: #a4aeb9; --line: #343c45;
            --accent: #6cb2ff; --blue: #6aa9ec; --orange: #f0954a;
            --q0: #1f2a36; --q1: #223a52; --q2: #264b6e; --q3: #2f5f8b; --q4: #4176a7; --q5: #5a8fbf;
            --q6: #7caad2; --q7: #a5c7e3; --q8: #d6e8f6; --shallow: #35618c; --deep: #dcebf8;
            --dense: #8d98a5; --low-rank: #5f9fe0; --pivoted-low-rank: #35b597; --tucker: #b08be0;
            --tensor-train: #ec8a3e; --tensor-ring: #e070b0; --block-term: #c9a227; --mixture: #ec6a5b;
            --m1: #ec8a3e; --m2: #35b597; --m3: #b08be0; --m4: #c9a227; --m5: #e070b0; --m6: #95a0ad;
            --m7: #ec6a5b; --m0: #82bd5f;
          }
        }
        * { box-sizing: border-box; }
        html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
        body { margin: 0; background: var(--ground); color: var(--ink);
          font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
          font-variant-numeric: tabular-nums; }
        main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 56px; }
        h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 16px; font-weight: 650; overflow-wrap: anywhere; }
        h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 4px; font-weight: 650; overflow-wrap: anywhere; }
        h3 { font-size: 1rem; margin: 24px 0 4px; font-weight: 600; overflow-wrap: anywhere; }
        p { margin: 0; }
        .kind { color: var(--soft); font-size: .875rem; margin-bottom: 2px; }
        .note { color: var(--soft); max-width: 68ch; }
        .numbers { margin-top: 12px; font-weight: 600; }
        .facts { margin: 0 0 20px; font-size: .8125rem; line-height: 1.45; }
        .facts div { display: grid; grid-template-columns: minmax(96px, max-content) 1fr; gap: 0 16px; padding: 2px 0; }
        .facts dt { color: var(--soft); min-width: 150px; }
        .facts dd { margin: 0; overflow-wrap: anywhere; }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 12px;
          margin: 0; padding: 0; list-style: none; }
        .cards li { background: var(--raised); border-radius: 8px; padding: 12px 14px; }
        .cards strong { display: block; font-size: 1.3rem; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
        .cards span { font-size: .8125rem; line-height: 1.4; color: var(--soft); display: block; overflow-wrap: anywhere; }
        nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 24px 0 0; font-size: .875rem; }
        a { color: var(--accent); text-underline-offset: 3px; }
        section { border-top: 1px solid var(--line); margin-top: 40px; padding-top: 28px; }
        figure { margin: 0; min-width: 0; }
        figcaption { font-size: .875rem; font-weight: 600; margin-bottom: 8px; overflow-wrap: anywhere; }
        .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr));
          gap: 28px 36px; margin-top: 20px; }
        .panels.small { grid-template-columns: repeat(auto-fill, minmax(min(44%, 200px), 1fr)); gap: 16px 16px; }
        .panels.stacked { grid-template-columns: minmax(0, 1fr); }
        .scroll { overflow-x: auto; max-width: 100%; }
        svg { display: block; overflow: visible; }
        svg.fit { max-width: 100%; height: auto; }
        svg.wide { max-width: none; }
        .legend { color: var(--soft); font-size: .8125rem; margin-top: 8px; display: flex; flex-wrap: wrap;
          align-items: center; gap: 4px 0; white-space: pre-wrap; }
        .key { display: inline-flex; align-items: center; margin-right: 16px; }
        .swatch { width: 12px; height: 12px; border-radius: 2px; margin-right: 6px; display: inline-block; }
        .swatch.outlined { border: 1px solid var(--soft); }
        .step { width: 16px; height: 12px; display: inline-block; }
        .ramp { width: 96px; height: 4px; border-radius: 2px; margin: 0 8px; display: inline-block;
          background: linear-gradient(to right, var(--shallow), var(--deep)); }
        details { margin-top: 20px; font-size: .8125rem; }
        details + details { margin-top: 8px; }
        summary { cursor: pointer; color: var(--accent); width: max-content; max-width: 100%; }
        details .scroll { margin-top: 8px; max-height: 70vh; overflow: auto; }
        table { border-collapse: collapse; font-size: .8125rem; line-height: 1.35; }
        th, td { padding: 4px 16px 4px 0; white-space: nowrap; text-align: right; font-weight: 400; }
        thead th { color: var(--soft); vertical-align: bottom; }
        tbody tr { border-top: 1px solid var(--line); }
        .word { text-align: left; }
        table.chips th, table.chips td { padding: 3px 4px 3px 0; text-align: left; vertical-align: top; }
        table.chips tbody tr { border-top: 0; }
        table.chips tbody th { padding-right: 10px; text-align: right; }
        .chip { display: block; min-width: 36px; padding: 1px 6px; border-left: 4px solid; border-radius: 3px;
          background: var(--raised); font-size: .75rem; line-height: 1.45; }
        .chip + .chip { margin-top: 2px; }
        footer { border-top: 1px solid var(--line); margin-top: 40px; padding-top: 16px; color: var(--soft);
          font-size: .8125rem; overflow-wrap: anywhere; }

        svg text { font-size: 12px; fill: var(--ink); }
        svg .tick { font-size: 11px; fill: var(--soft); }
        svg .name { font-size: 11.5px; fill: var(--soft); }
        svg .strong { font-weight: 650; fill: var(--accent); }
        .ground { fill: var(--ground); }
        .grid { stroke: var(--line); stroke-width: 1; fill: none; }
        .axis { stroke: var(--soft); stroke-width: 1; fill: none; }
        .leader { stroke: var(--soft); stroke-width: .75; fill: none; opacity: .8; }
        .mark { stroke: var(--ground); stroke-width: 2; fill: none; }
        .diagonal { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 3; fill: none; }
        .depth { stroke: var(--deep); stroke-width: 1.4; fill: none; stroke-linejoin: round; }
        @supports (color: color-mix(in oklab, red 50%, blue)) {
          .depth { stroke: color-mix(in oklab, var(--deep) var(--depth), var(--shallow)); }
        }
        .series { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
        .dot { stroke: var(--ground); stroke-width: 1; }
        .point { fill-opacity: .55; }
        .attention { stroke: var(--blue); } .feed-forward { stroke: var(--orange); }
        .dot.attention, .point.attention { fill: var(--blue); stroke: var(--ground); }
        .dot.feed-forward, .point.feed-forward { fill: var(--orange); stroke: var(--ground); }
        .point.attention, .point.feed-forward { stroke: none; }
        .ours { stroke: var(--accent); } .series.ours { stroke-width: 3; }
        .dot.ours { fill: var(--accent); stroke: var(--ground); }
        .m0 { stroke: var(--m0); } .m1 { stroke: var(--m1); } .m2 { stroke: var(--m2); } .m3 { stroke: var(--m3); }
        .m4 { stroke: var(--m4); } .m5 { stroke: var(--m5); } .m6 { stroke: var(--m6); } .m7 { stroke: var(--m7); }
        .dot.m0 { fill: var(--m0); } .dot.m1 { fill: var(--m1); } .dot.m2 { fill: var(--m2); } .dot.m3 { fill: var(--m3); }
        .dot.m4 { fill: var(--m4); } .dot.m5 { fill: var(--m5); } .dot.m6 { fill: var(--m6); } .dot.m7 { fill: var(--m7); }
        .bar { fill: var(--dense); } .bar.ours { fill: var(--accent); stroke: none; }
        .outline { fill: none; stroke: var(--soft); stroke-width: 1; }
        .piece { stroke: var(--ground); stroke-width: 1; }
        .q0 { fill: var(--q0); } .q1 { fill: var(--q1); } .q2 { fill: var(--q2); }
        .q3 { fill: var(--q3); } .q4 { fill: var(--q4); } .q5 { fill: var(--q5); }
        .q6 { fill: var(--q6); } .q7 { fill: var(--q7); } .q8 { fill: var(--q8); }
        .b0 { background: var(--q0); } .b1 { background: var(--q1); } .b2 { background: var(--q2); }
        .b3 { background: var(--q3); } .b4 { background: var(--q4); } .b5 { background: var(--q5); }
        .b6 { background: var(--q6); } .b7 { background: var(--q7); } .b8 { background: var(--q8); }
        .f-dense { fill: var(--dense); background: var(--dense); }
        .f-low-rank { fill: var(--low-rank); background: var(--low-rank); }
        .f-pivoted-low-rank { fill: var(--pivoted-low-rank); background: var(--pivoted-low-rank); }
        .f-tucker { fill: var(--tucker); background: var(--tucker); }
        .f-tensor-train { fill: var(--tensor-train); background: var(--tensor-train); }
        .f-tensor-ring { fill: var(--tensor-ring); background: var(--tensor-ring); }
        .f-block-term { fill: var(--block-term); background: var(--block-term); }
        .f-mixture { fill: var(--mixture); background: var(--mixture); }
        .e-dense { border-color: var(--dense); } .e-low-rank { border-color: var(--low-rank); }
        .e-pivoted-low-rank { border-color: var(--pivoted-low-rank); } .e-tucker { border-color: var(--tucker); }
        .e-tensor-train { border-color: var(--tensor-train); } .e-tensor-ring { border-color: var(--tensor-ring); }
        .e-block-term { border-color: var(--block-term); } .e-mixture { border-color: var(--mixture); }
        @media (max-width: 520px) {
          main { padding: 24px 16px 40px; }
          h1 { font-size: 1.6rem; }
          .facts div { display: block; padding: 4px 0; }
          .panels:not(.small) svg.fit text { font-size: 13px; }
          .cards { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 8px; }
        }
        @media print {
          body { font-size: 11pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
          main { max-width: none; padding: 0; }
          nav { display: none; }
          figure, .cards li, h2, h3, .note, footer { break-inside: avoid; }
          h2, h3, .note, figcaption { break-after: avoid; }
          .scroll { overflow: visible; }
          svg.wide { max-width: 100%; height: auto; }
          details:not([open]) { display: none; }
          details .scroll { max-height: none; }
        }

        """
}
