/// One HTML file that needs nothing else.
package struct ReportPage {
    package init() {}
}
