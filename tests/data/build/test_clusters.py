from slicewise.data.build.clusters import UnionFind, clusters


def test_clusters_are_named_by_their_smallest_member():
    assert clusters(6, [(4, 2), (2, 5), (1, 0)]).tolist() == [0, 0, 2, 3, 2, 2]


def test_joining_twice_is_told():
    sets = UnionFind(3)
    assert sets.join(0, 2)
    assert not sets.join(2, 0)
