/// The page at `/`: a playground with live metrics, in one file that loads nothing else.
package enum Page {
    package static var html: [UInt8] { PackageResources.page_html }
}
