/// What guessing ahead brings: what drafts learnt, and what they were measured to bring.
struct SpeculationFigure {
    let drafts: [DraftFigure]
    let measured: [DraftedTextFigure]

    var section: Section {
        Section(
            anchor: "speculation", title: "Speculation: how far guesses hold",
            note:
                "A draft guesses several tokens in a row, and the model checks them in one step, which brings those that are right up to the first wrong one, and a token of the model's own. Lines show at how many places the guesses were right up to each; bars beside one another the speed of the same text.",
            figures: drafts.flatMap(\.figures) + measured.flatMap(\.figures), tables: [])
    }
}
