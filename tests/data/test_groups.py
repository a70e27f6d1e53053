from slicewise.data.groups import Bond, Key, UnionFind, clusters, group_names, members_of

PATIENT, OTHER = Key(Bond.PATIENT, "s:1"), Key(Bond.PATIENT, "s:2")
GROUP, COPIES = Key(Bond.GROUP, "s:a"), Key(Bond.COPIES, "c")


def test_the_strongest_bond_names_the_group():
    assert group_names([[COPIES, GROUP], [PATIENT, COPIES], [GROUP]]) == ["patient:s:1"] * 3


def test_groups_are_joined_through_chains():
    names = group_names([[PATIENT], [PATIENT, COPIES], [COPIES, OTHER], [OTHER], [GROUP]])
    assert names == ["patient:s:1"] * 4 + ["s:a"]


def test_members_of_keys():
    assert members_of([[GROUP], [COPIES], [GROUP]]) == {GROUP: [0, 2], COPIES: [1]}


def test_clusters_are_named_by_their_smallest_member():
    assert clusters(6, [(4, 2), (2, 5), (1, 0)]) == [0, 0, 2, 3, 2, 2]


def test_joining_twice_is_told():
    sets = UnionFind(3)
    assert sets.join(0, 2)
    assert not sets.join(2, 0)
