package domain

import "testing"

func TestUpdateProfile(t *testing.T) {
	filled := history(activeSince(noon), at(noon, ProfileUpdated{
		Changed: []string{FieldPhoneNumber, FieldThumbnail}, Thumbnail: pointer("thumbnails/1"),
		Personal: Seal(ProfileDetails{PhoneNumber: pointer("+2348145359073")}),
	}))
	runScenarios(t, []scenario{
		{name: "one field", given: activeSince(noon), when: UpdateProfile{FirstName: pointer("Augusta")},
			then: []Event{ProfileUpdated{Changed: []string{FieldFirstName}, Personal: Seal(ProfileDetails{FirstName: pointer("Augusta")})}}},
		{name: "only what really changes", given: filled,
			when: UpdateProfile{FirstName: pointer("Ada"), LastName: pointer("King"), PhoneNumber: pointer("+2348145359073"), Thumbnail: pointer("thumbnails/1")},
			then: []Event{ProfileUpdated{Changed: []string{FieldLastName}, Personal: Seal(ProfileDetails{LastName: pointer("King")})}}},
		{name: "all fields", given: activeSince(noon),
			when: UpdateProfile{pointer("A"), pointer("B"), pointer("+2348145359073"), pointer("https://github.com/ada"), pointer("1815-12-10"), pointer("thumbnails/2"), nil},
			then: []Event{ProfileUpdated{
				Changed:   []string{FieldFirstName, FieldLastName, FieldPhoneNumber, FieldGithubLink, FieldBirthDate, FieldThumbnail},
				Thumbnail: pointer("thumbnails/2"),
				Personal:  Seal(ProfileDetails{pointer("A"), pointer("B"), pointer("+2348145359073"), pointer("https://github.com/ada"), pointer("1815-12-10")}),
			}}},
		{name: "clear", given: filled, when: UpdateProfile{PhoneNumber: pointer(""), Thumbnail: pointer(""), GithubLink: pointer("")},
			then: []Event{ProfileUpdated{Changed: []string{FieldPhoneNumber, FieldThumbnail}}}},
		{name: "nothing given", given: filled, when: UpdateProfile{}},
		{name: "nothing changes", given: filled, when: UpdateProfile{LastName: pointer("Lovelace")}},
		{name: "on the version seen", given: filled, when: UpdateProfile{LastName: pointer("King"), IfVersion: pointer(int64(3))},
			then: []Event{ProfileUpdated{Changed: []string{FieldLastName}, Personal: Seal(ProfileDetails{LastName: pointer("King")})}}},
		{name: "on an older version", given: filled, when: UpdateProfile{LastName: pointer("King"), IfVersion: pointer(int64(2))}, err: ErrVersion},
		{name: "a stranger's reset request does not move the version", given: history(filled, resetAt(30, noon)), when: UpdateProfile{IfVersion: pointer(int64(3))}},
		{name: "a pending account", given: pendingSince(noon), when: UpdateProfile{LastName: pointer("King")}, err: ErrNotSignedIn},
		{name: "a deactivated account", given: deactivated(), when: UpdateProfile{LastName: pointer("King")}, err: ErrNotSignedIn},
	})
}

func TestProfileUpdatedIsFolded(t *testing.T) {
	all := ProfileUpdated{
		Changed:   []string{FieldFirstName, FieldLastName, FieldPhoneNumber, FieldGithubLink, FieldBirthDate, FieldThumbnail},
		Thumbnail: pointer("thumbnails/2"),
		Personal:  Seal(ProfileDetails{pointer("A"), pointer("B"), pointer("+1"), pointer("https://github.com/ada"), pointer("1915-12-10")}),
	}
	account := given(history(activeSince(noon), at(noon, all))...)
	if want := (Profile{"A", "B", "+1", "https://github.com/ada", "1915-12-10", "thumbnails/2"}); account.Profile != want {
		t.Errorf("profile %+v, want %+v", account.Profile, want)
	}
	// What is not named in changed stays, whatever the event carries.
	other := ProfileUpdated{Changed: []string{FieldBirthDate, "shoe_size"}, Personal: Seal(ProfileDetails{FirstName: pointer("X")})}
	account = Evolve(account, record(4, at(noon, other)...)[0])
	if want := (Profile{"A", "B", "+1", "https://github.com/ada", "", "thumbnails/2"}); account.Profile != want || account.Version != 4 {
		t.Errorf("profile %+v of version %d, want %+v of 4", account.Profile, account.Version, want)
	}
}
