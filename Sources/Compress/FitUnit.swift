import Artifacts
import Models
import TensorNetworks

/// Matrices that are fitted together: a single one, or those that share their input factor.
struct FitUnit {
    struct Member {
        let layer: Int
        let projection: Projection
        let module: LinearModule
        let plan: MatrixPlan
        /// Its only patch, or the first of several.
        let patch: PatchPlan
    }

    /// The leader first, which stores the shared factor.
    let members: [Member]

    /// Block in which the unit is fitted: its first one.
    var layer: Int { members.map(\.layer).min() ?? 0 }

    /// The first of its projections in that block.
    var projection: Projection {
        let layer = layer
        let here = Set(members.filter { $0.layer == layer }.map(\.projection))
        guard let first = Projection.allCases.first(where: here.contains) else {
            preconditionFailure("a unit has a member in its first block")
        }
        return first
    }

    /// The activations that its members read.
    var inputs: [InputPlace] {
        var places: [InputPlace] = []
        for member in members {
            let place = InputPlace(layer: member.layer, input: member.projection.input)
            if !places.contains(place) { places.append(place) }
        }
        return places
    }

    /// An activation of the model.
    struct InputPlace: Equatable {
        let layer: Int
        let input: Projection.Input
    }
}

extension CompressionPlan {
    /// Every matrix that is compressed, in units of what is fitted together.
    func units(_ configuration: ModelConfiguration) -> [FitUnit] {
        let planned = Dictionary(
            matrices.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var members: [FitUnit.Member] = []
        for layer in 0..<configuration.layerCount {
            for projection in Projection.allCases {
                let module = configuration.module(projection, ofLayer: layer)
                guard let plan = planned[module.name], let patch = plan.patches.first else {
                    preconditionFailure("the plan was checked to name every module")
                }
                guard plan.isCompressed else { continue }
                members.append(
                    FitUnit.Member(
                        layer: layer, projection: projection, module: module, plan: plan,
                        patch: patch))
            }
        }
        let followers = Dictionary(
            grouping: members.filter { $0.patch.sharesInputOf != nil },
            by: { $0.patch.sharesInputOf ?? "" })
        return members.filter { $0.patch.sharesInputOf == nil }
            .map { FitUnit(members: [$0] + followers[$0.module.name, default: []]) }
    }
}
