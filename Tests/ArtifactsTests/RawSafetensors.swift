/// Safetensors bytes put together by hand, right or wrong.
enum RawSafetensors {
    static func bytes(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
        bytes(Array(header.utf8), data: data, length: length)
    }

    static func bytes(_ header: [UInt8], data: Int, length: UInt64? = nil) -> [UInt8] {
        let length = length ?? UInt64(header.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + header
            + (0..<data).map { UInt8($0 % 2) }
    }

    static func entry(_ name: String, _ type: String, _ shape: [Int], _ start: Int, _ end: Int)
        -> String
    {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]}"
    }
}
