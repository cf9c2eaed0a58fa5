import CTorch

/// The type of a tensor's elements, in the spelling that safetensors headers use.
package enum ElementType: String, CaseIterable, Codable, Sendable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case int16 = "I16"
    case uint16 = "U16"
    case int32 = "I32"
    case uint32 = "U32"
    case int64 = "I64"
    case uint64 = "U64"
    case float8e4m3 = "F8_E4M3"
    case float8e5m2 = "F8_E5M2"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case float32 = "F32"
    case float64 = "F64"

    /// Bytes of one element.
    package var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8e4m3, .float8e5m2: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    package var isFloatingPoint: Bool {
        switch self {
        case .float8e4m3, .float8e5m2, .float16, .bfloat16, .float32, .float64: true
        default: false
        }
    }

    /// Whether its values are read as multiples of scales, a scale for each row of a matrix.
    package var isQuantized: Bool { self == .int8 || self == .float8e4m3 }

    /// Largest relative error of rounding to this type; 0 for integers.
    package var roundoff: Double {
        switch self {
        case .float64: 1.1102230246251565e-16
        case .float32: 5.960464477539063e-08
        case .float16: 4.8828125e-04
        case .bfloat16: 3.90625e-03
        case .float8e4m3: 6.25e-02
        case .float8e5m2: 1.25e-01
        default: 0
        }
    }

    var raw: ct_dtype {
        switch self {
        case .bool: CT_BOOL
        case .uint8: CT_U8
        case .int8: CT_I8
        case .int16: CT_I16
        case .uint16: CT_U16
        case .int32: CT_I32
        case .uint32: CT_U32
        case .int64: CT_I64
        case .uint64: CT_U64
        case .float8e4m3: CT_F8E4M3
        case .float8e5m2: CT_F8E5M2
        case .float16: CT_F16
        case .bfloat16: CT_BF16
        case .float32: CT_F32
        case .float64: CT_F64
        }
    }

    init(raw: ct_dtype) {
        guard let match = Self.allCases.first(where: { $0.raw == raw }) else {
            preconditionFailure(
                "the shim reported element type \(raw.rawValue), which ctorch.h does not list")
        }
        self = match
    }
}

/// A Swift number type that a tensor's elements can be read as or made from.
package protocol TensorElement {
    static var elementType: ElementType { get }
}

extension Bool: TensorElement { package static let elementType = ElementType.bool }
extension UInt8: TensorElement { package static let elementType = ElementType.uint8 }
extension Int32: TensorElement { package static let elementType = ElementType.int32 }
extension Int: TensorElement { package static let elementType = ElementType.int64 }
extension Float: TensorElement { package static let elementType = ElementType.float32 }
extension Double: TensorElement { package static let elementType = ElementType.float64 }
