// Package pages holds the built-in pages, which stand in for a frontend while
// none is configured, and the page behind the activation link.
//
// They use the same REST interface as any other frontend. The package promises
// that a page loads nothing from anywhere but this service, has no inline script
// or style, and shows nothing from a request that was not escaped by
// html/template.
package pages
