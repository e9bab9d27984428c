package session

import "github.com/mileusna/useragent"

// device says coarsely what a session was opened with, such as "Firefox on
// Linux": enough to know one's own sessions by, too little to track anybody.
func device(agent string) string {
	parsed := useragent.Parse(agent)
	switch {
	case parsed.IsUnknown() || parsed.Name == "" || parsed.OS == "" && !parsed.Desktop && !parsed.Mobile && !parsed.Tablet:
		return "Unknown device"
	case parsed.OS == "":
		return parsed.Name
	}
	return parsed.Name + " on " + parsed.OS
}
