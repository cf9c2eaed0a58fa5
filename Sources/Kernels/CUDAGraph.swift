import CCUDA

/// Work that was captured from a stream, ready to be launched as a whole.
///
/// It holds addresses, not memory: what its kernels touch must outlive it, and so must their modules.
package final class CUDAGraph {
    /// Kernels, copies and fills in it.
    package let nodes: Int
    private let device: CUDADevice
    private let executable: CUgraphExec

    init(of graph: CUgraph, on device: CUDADevice) throws(CUDAError) {
        var nodes = 0
        try device.call("cuGraphGetNodes") { $0.pointee.cuGraphGetNodes(graph, nil, &nodes) }
        var executable: CUgraphExec?
        try device.call("cuGraphInstantiate") {
            $0.pointee.cuGraphInstantiate(&executable, graph, 0)
        }
        guard let executable else { preconditionFailure("an instantiated graph is there") }
        self.nodes = nodes
        self.device = device
        self.executable = executable
    }

    deinit { device.release { $0.pointee.cuGraphExecDestroy(executable) } }

    /// A launch waits for the one before it, whatever the streams.
    package func launch(on stream: CUDAStream) throws(CUDAError) {
        try device.call("cuGraphLaunch") { $0.pointee.cuGraphLaunch(executable, stream.handle) }
    }
}
